"""What de-identification does to each kind of attribute (DICOM PS3.15 Annex E, basic profile).

The standard lists what to remove; a list misses the attribute added next year. Here the rule is turned round: an
attribute stays only if its kind cannot hold free text, or if it is named below. Everything the basic profile removes
or empties is covered, and so is free text it does not know.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["IDENTIFYING", "Action", "action_for"]


def _terms(words: str) -> frozenset[str]:
    return frozenset(words.split())


Action = Literal["keep", "remove", "empty", "remap", "shift", "descend"]

_KEPT_TEXT = _terms(
    "CodeValue LongCodeValue CodeMeaning CodingSchemeDesignator CodingSchemeVersion CodingSchemeName ContextIdentifier "
    "MappingResource Manufacturer ManufacturerModelName SoftwareVersions ConvolutionKernel RescaleType ModalityLUTType "
    "SequenceName PulseSequenceName ImagedNucleus ResonantNucleus FilterType Radiopharmaceutical TransmitCoilName "
    "ReceiveCoilName SpecificCharacterSet DoseUnits SegmentAlgorithmName ImplementationVersionName "
    "TimezoneOffsetFromUTC DimensionDescriptionLabel MACAlgorithm PhysicalUnitsOfSignal"
)
"""Technical text."""

_REMOVED = _terms(
    "ActualHumanPerformersSequence AdmittingDiagnosesCodeSequence ArbitraryDetails AuthorObserverSequence "
    "ConsultingPhysicianIdentificationSequence ContentCreatorIdentificationCodeSequence "
    "ContributingEquipmentSequence CustodialOrganizationSequence DigitalSignaturesSequence EncryptedAttributesSequence "
    "GraphicAnnotationSequence IconImageSequence InstitutionCodeSequence InstitutionalDepartmentTypeCodeSequence "
    "IssuerOfAccessionNumberSequence IssuerOfAdmissionIDSequence IssuerOfPatientIDQualifiersSequence "
    "IssuerOfServiceEpisodeIDSequence ModifiedAttributesSequence OperatorIdentificationSequence "
    "OriginalAttributesSequence OtherPatientIDsSequence ParticipantSequence PatientAge PatientBodyMassIndex "
    "PatientInsurancePlanCodeSequence PatientPrimaryLanguageCodeSequence PatientSexNeutered PatientSize "
    "PatientSpeciesCodeSequence PatientWeight PerformedStationGeographicLocationCodeSequence "
    "PerformedStationNameCodeSequence PerformingPhysicianIdentificationSequence PersonIdentificationCodeSequence "
    "PhysiciansOfRecordIdentificationSequence PhysiciansReadingStudyIdentificationSequence PregnancyStatus "
    "ReferencedPatientAliasSequence ReferencedPatientPhotoSequence ReferencedPatientSequence "
    "ReferringPhysicianIdentificationSequence RequestAttributesSequence RequestedProcedureCodeSequence "
    "RequestingServiceCodeSequence ResponsiblePersonRole ReviewerName ScheduledPerformersSequence "
    "ScheduledStationGeographicLocationCodeSequence ScheduledStationNameCodeSequence SmokingStatus "
    "VerifyingObserverIdentificationCodeSequence VerifyingObserverSequence MACParametersSequence "
    "PatientBirthTime ReasonForPerformedProcedureCodeSequence ReasonForVisitCodeSequence "
    "PatientBirthDateInAlternativeCalendar PatientDeathDateInAlternativeCalendar"
)
"""Attributes of kinds that would stay, but that the profile removes."""

_EMPTIED = _terms(
    "AccessionNumber StudyID ReferringPhysicianName PatientBirthDate PatientSex PositionReferenceIndicator "
    "ContentCreatorName VerifyingObserverName"
)
"""Attributes other programs expect to find (type 2): kept with no value."""

_CLASS_UIDS = _terms(
    "SOPClassUID ReferencedSOPClassUID MediaStorageSOPClassUID TransferSyntaxUID ReferencedSOPClassUIDInFile "
    "ImplementationClassUID RelatedGeneralSOPClassUID ContextUID MappingResourceUID CodingSchemeUID"
)
_KEPT_BINARY = _terms(
    "PixelData FloatPixelData DoubleFloatPixelData LUTData RedPaletteColorLookupTableData "
    "GreenPaletteColorLookupTableData BluePaletteColorLookupTableData AlphaPaletteColorLookupTableData "
    "SegmentedRedPaletteColorLookupTableData SegmentedGreenPaletteColorLookupTableData "
    "SegmentedBluePaletteColorLookupTableData ExtendedOffsetTable ExtendedOffsetTableLengths "
    "WaveformData SpectroscopyData"
)

_NUMBERS = _terms("AT DS FD FL IS SL SS SV UL US UV") | {"US or SS"}
_BINARY = _terms("OB OD OF OL OV OW UN") | {"OB or OW", "US or OW", "US or SS or OW"}

IDENTIFYING = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientTelephoneNumbers",
    "PatientAddress",
    "MilitaryRank",
    "AccessionNumber",
    "AdmissionID",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "NameOfPhysiciansReadingStudy",
    "PhysiciansOfRecord",
    "RequestingPhysician",
    "ResponsiblePerson",
    "InstitutionName",
)
"""Attributes whose words must not appear in anything that is kept."""


def action_for(keyword: str, vr: str, group: int) -> Action:
    """What to do with one attribute. `keyword`: "" for unknown ones. `group`: the tag's group number."""
    if group % 2 or not keyword or group < 0x0008 or 0x5000 <= group < 0x5100 or 0x6000 <= group < 0x6100:
        return "remove"
    if keyword in _REMOVED:
        return "remove"
    if keyword in _EMPTIED:
        return "empty"
    if vr == "SQ":
        return "descend"
    if vr == "UI":
        return "keep" if keyword in _CLASS_UIDS else "remap"
    if vr in ("DA", "DT"):
        return "shift"
    if vr in _NUMBERS or vr in ("CS", "TM"):
        return "keep"
    if vr in _BINARY:
        return "keep" if keyword in _KEPT_BINARY else "remove"
    return "keep" if keyword in _KEPT_TEXT else "remove"
